"""Create, Read, Update and Delete, for real and in previews."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from avma import errors
from avma.configuration import Configuration
from avma.resources.resource import Operation, Stored
from avma.wsman import retry
from contract.harness import TYPE, UNKNOWN, URN, Calls, FakeEngine, detail, details, failure, plain, secret, struct
from contract.shelf import Shelf, ShelfOutputs
from pulumi_resource_avma.protocol import provider_pb2 as pb

FOUND = {"condition": "good", "weight": 12, "masterCode": secret("master-4711")}


class TestCreate:
    """A new resource."""

    def test_outputs_are_the_inputs_and_what_was_found(self, calls: Calls) -> None:
        response = calls.create({"room": "Lab", "boards": 4})
        assert response.id == "lab"
        assert plain(response.properties) == {"room": "Lab", "boards": 4, **FOUND}

    def test_numbers_arrive_as_integers(self, calls: Calls, shelf: Shelf) -> None:
        calls.create({"room": "lab", "boards": 4})
        assert shelf.calls == [("create", {"room": "lab", "boards": 4})]
        assert type(shelf.calls[0][1]["boards"]) is int

    def test_secrets_are_wrapped_again(self, calls: Calls, shelf: Shelf) -> None:
        lock = {"code": "1234", "maker": secret("m")}
        response = calls.create({"room": secret("lab"), "password": "shelf-pass", "lock": lock})
        assert plain(response.properties) == {
            "room": secret("lab"),
            "password": secret("shelf-pass"),
            "lock": {"code": secret("1234"), "maker": secret("m")},
            **FOUND,
        }
        assert shelf.calls[0][1]["lock"] == {"code": "1234", "maker": "m"}

    def test_an_object_that_came_secret_stays_so_as_a_whole(self, calls: Calls) -> None:
        response = calls.create({"room": "lab", "lock": secret({"code": "1234"})})
        assert plain(response.properties)["lock"] == secret({"code": "1234"})

    def test_preview_tells_what_is_certain_and_does_nothing(self, calls: Calls, shelf: Shelf) -> None:
        values = {"room": "lab", "label": UNKNOWN, "password": secret(UNKNOWN), "lock": {"code": secret(UNKNOWN)}}
        response = calls.create(values, preview=True)
        assert response.id == ""
        assert plain(response.properties) == {
            "room": "lab",
            "lock": {"code": secret(UNKNOWN)},
            "condition": "good",
        }
        assert shelf.calls == []

    def test_preview_without_configuration(self, unconfigured: Calls) -> None:
        response = unconfigured.create({"room": UNKNOWN}, preview=True)
        assert plain(response.properties) == {"condition": "good"}

    def test_without_configuration_nothing_is_made(self, unconfigured: Calls, shelf: Shelf) -> None:
        with pytest.raises(grpc.RpcError) as caught:
            unconfigured.create({"room": "lab"})
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert shelf.calls == []

    @pytest.mark.parametrize(("asked", "allowed"), [(0, 42), (7.5, 7.5)])
    def test_timeout(self, calls: Calls, shelf: Shelf, asked: float, allowed: float) -> None:
        seen: list[Operation] = []
        shelf.script = lambda _name, operation: seen.append(operation)
        calls.create({"room": "lab"}, timeout=asked)
        calls.read("lab", timeout=asked)
        calls.update({"room": "lab"}, {"room": "lab", "label": "new"}, timeout=asked)
        calls.delete({"room": "lab"}, timeout=asked)
        assert [operation.deadline.timeout for operation in seen] == [allowed] * 4

    def test_a_timeout_is_said(self, calls: Calls, shelf: Shelf) -> None:
        shelf.script = lambda _name, operation: operation.deadline.wait(60, "wait for the paint", "lab")
        with pytest.raises(grpc.RpcError) as caught:
            calls.create({"room": "lab"}, timeout=0.05)
        code, message = failure(caught.value)
        assert code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "customTimeouts" in message

    def test_the_user_sees_status_and_warnings_in_the_resources_row(
        self, calls: Calls, shelf: Shelf, engine: FakeEngine
    ) -> None:
        def talk(_name: str, operation: Operation) -> None:
            operation.status("painting")
            operation.status("provider-pass: sanding")
            operation.warn("the paint smells of provider-pass")

        shelf.script = talk
        calls.create({"room": "lab"})
        assert engine.lines == [
            ("INFO", "painting", URN, True),
            ("INFO", f"{URN.rpartition('::')[2]}: sanding", URN, True),
            ("WARNING", "the paint smells of [secret]", URN, False),
        ]

    def test_the_configuration_arrives(self, calls: Calls, shelf: Shelf) -> None:
        seen: list[Configuration] = []
        shelf.script = lambda _name, operation: seen.append(operation.configuration)
        calls.create({"room": "lab"})
        assert (seen[0].username, seen[0].password) == ("Administrator", "provider-pass")


class TestRead:
    """Import, get and refresh."""

    @pytest.mark.parametrize("more", [{}, {"properties": struct({})}, {"properties": struct({}), "inputs": struct({})}])
    def test_import_has_the_identifier_alone(self, calls: Calls, shelf: Shelf, more: dict[str, Any]) -> None:
        response = calls.read("lab", **more)
        assert shelf.calls == [("read", None)]
        assert response.id == "lab"
        assert plain(response.inputs) == {"room": "lab"}
        assert plain(response.properties) == {"room": "lab", **FOUND}

    def test_refresh(self, calls: Calls, shelf: Shelf) -> None:
        shelf.found = ShelfOutputs("broken", 11)
        inputs = {"room": "lab", "password": secret("shelf-pass"), "label": secret("hush")}
        properties = {**inputs, "condition": "good", "weight": 12}
        response = calls.read("lab", inputs=struct(inputs), properties=struct(properties))
        ((_, stored),) = shelf.calls
        assert stored == Stored(
            {"room": "lab", "password": "shelf-pass", "label": "hush"},
            {"room": "lab", "password": "shelf-pass", "label": "hush", "condition": "good", "weight": 12},
        )
        assert plain(response.inputs) == inputs
        assert plain(response.properties) == {**inputs, "condition": "broken", "weight": 11}

    def test_get_sends_the_users_state_twice(self, calls: Calls, shelf: Shelf) -> None:
        calls.read("lab", inputs=struct({"room": "lab"}), properties=struct({"room": "lab"}))
        assert shelf.calls == [("read", Stored({"room": "lab"}, {"room": "lab"}))]

    @pytest.mark.parametrize("stored", [{}, {"inputs": struct({"room": "x"}), "properties": struct({"room": "x"})}])
    def test_gone_leaves_everything_unset(self, calls: Calls, shelf: Shelf, stored: dict[str, Any]) -> None:
        shelf.found = None
        response = calls.read("lab", **stored)
        assert response.id == ""
        assert not response.HasField("properties")
        assert not response.HasField("inputs")

    def test_an_error_is_never_gone(self, calls: Calls, shelf: Shelf) -> None:
        def fail(_name: str, _operation: Operation) -> None:
            raise errors.Unreachable("look at the shelf", "lab", "silence", "switch it on")

        shelf.script = fail
        with pytest.raises(grpc.RpcError) as caught:
            calls.read("lab")
        assert failure(caught.value) == (
            grpc.StatusCode.UNAVAILABLE,
            "lab: could not look at the shelf: silence. Switch it on. See: avma explain unreachable",
        )


class TestUpdate:
    """An existing resource."""

    def test_outputs_follow_the_new_inputs(self, calls: Calls, shelf: Shelf) -> None:
        response = calls.update({"room": "lab", "label": "a"}, {"room": "lab", "label": secret("bbbb")})
        assert plain(response.properties) == {"room": "lab", "label": secret("bbbb"), **FOUND}
        stored = Stored({"room": "lab", "label": "a"}, {"room": "lab", "label": "a"})
        assert shelf.calls == [("update", (stored, {"room": "lab", "label": "bbbb"}))]

    def test_preview_does_nothing(self, calls: Calls, shelf: Shelf) -> None:
        response = calls.update({"room": "lab"}, {"room": "lab", "label": UNKNOWN}, preview=True)
        assert plain(response.properties) == {"room": "lab", "condition": "good"}
        assert shelf.calls == []

    def test_without_old_inputs_the_olds_stand_for_them(self, calls: Calls, shelf: Shelf) -> None:
        state = {"room": "lab", "condition": "good"}
        request = pb.UpdateRequest(id="lab", urn=URN, type=TYPE, olds=struct(state), news=struct({"room": "lab"}))
        calls.stub.Update(request)
        assert shelf.calls == [("update", (Stored(state, state), {"room": "lab"}))]


class TestPartlyDone:
    """An error after the resource was changed."""

    @pytest.fixture(autouse=True)
    def _fails_half_way(self, shelf: Shelf) -> None:
        def fail(name: str, _operation: Operation) -> None:
            inputs = {"room": "lab", "password": "shelf-pass"}
            result = shelf.result(inputs)
            cause = errors.TimedOut("wait for the paint", "lab", f"shelf-pass is still wet ({name})", "wait")
            raise errors.PartlyDone("lab", result, cause)

        shelf.script = fail

    @pytest.mark.parametrize("operation", ["create", "update", "read"])
    def test_the_engine_gets_what_was_reached(self, calls: Calls, operation: str) -> None:
        inputs = {"room": "lab", "password": "shelf-pass"}
        call = {
            "create": lambda: calls.create(inputs),
            "update": lambda: calls.update(inputs, inputs),
            "read": lambda: calls.read("lab", inputs=struct(inputs), properties=struct(inputs)),
        }[operation]
        with pytest.raises(grpc.RpcError) as caught:
            call()
        reason = f"lab: could not wait for the paint: [secret] is still wet ({operation}). Wait"
        reason += ". See: avma explain timed-out"
        assert failure(caught.value) == (grpc.StatusCode.DEADLINE_EXCEEDED, reason)
        reached = detail(caught.value, pb.ErrorResourceInitFailed())
        wrapped = {"room": "lab", "password": secret("shelf-pass")}
        assert (reached.id, list(reached.reasons)) == ("lab", [reason])
        assert plain(reached.inputs) == wrapped
        assert plain(reached.properties) == {**wrapped, **FOUND}

    def test_delete_is_atomic(self, calls: Calls) -> None:
        with pytest.raises(grpc.RpcError) as caught:
            calls.delete({"room": "lab"})
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert details(caught.value) == []


class TestDelete:
    """The deletion of a resource."""

    def fail(self, _name: str, _operation: Operation) -> None:
        raise errors.CertificateNotTrusted("unscrew the shelf", "lab", "silence", "switch it on")

    def test_delete(self, calls: Calls, shelf: Shelf) -> None:
        calls.delete({"room": "lab"})
        assert shelf.calls == [("delete", Stored({"room": "lab"}, {"room": "lab"}))]

    def test_unreachable_names_both_ways_out(self, calls: Calls, shelf: Shelf) -> None:
        shelf.script = self.fail
        with pytest.raises(grpc.RpcError) as caught:
            calls.delete({"room": "lab"})
        code, message = failure(caught.value)
        assert code is grpc.StatusCode.UNAVAILABLE
        assert f"pulumi state delete '{URN}'" in message
        assert "deleteUnreachable: true" in message

    def test_unreachable_is_forgotten_where_the_user_says_so(
        self, calls: Calls, shelf: Shelf, engine: FakeEngine
    ) -> None:
        calls.configure(deleteUnreachable=True)
        shelf.script = self.fail
        calls.delete({"room": "lab"})
        ((severity, message, urn, _),) = engine.lines
        assert (severity, urn) == ("WARNING", URN)
        assert "lab: could not unscrew the shelf" in message
        assert "forgets the resource and leaves the machine unchanged" in message

    @pytest.mark.parametrize("sent", [None, errors.AnswerLost("unscrew the shelf", "lab", "no answer", "look at it")])
    def test_a_change_that_may_have_begun_is_not_called_unchanged(
        self, calls: Calls, shelf: Shelf, engine: FakeEngine, sent: errors.AnswerLost | None
    ) -> None:
        def lose(_name: str, _operation: Operation) -> None:
            with retry.proof("unscrew the shelf", "the provider requested it", sent):
                raise errors.Unreachable("look at the shelf", "lab", "silence", "check the network")

        calls.configure(deleteUnreachable=True)
        shelf.script = lose
        calls.delete({"room": "lab"})
        ((_, message, _, _),) = engine.lines
        assert "unchanged" not in message
        assert "forgets the resource. The deletion may have changed the machine" in message
        assert "run `slmgr /dlv` on the machine" in message

    def test_any_other_error_says_that_it_is_still_there(self, calls: Calls, shelf: Shelf) -> None:
        def refuse(_name: str, _operation: Operation) -> None:
            raise errors.AccessDenied("unscrew the shelf", "lab", "no", "ask")

        shelf.script = refuse
        calls.configure(deleteUnreachable=True)
        with pytest.raises(grpc.RpcError) as caught:
            calls.delete({"room": "lab"})
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
