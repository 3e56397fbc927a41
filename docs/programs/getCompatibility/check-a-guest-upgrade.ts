import * as pulumi from "@pulumi/pulumi";
import * as avma from "@pulumi-avma/avma";

const upgraded = avma.getCompatibility({
    hostVersion: avma.Version.Version_2022,
    guestVersion: avma.Version.Version_2025,
});
export const activates = upgraded.then(upgraded => upgraded.activates);
export const reason = upgraded.then(upgraded => upgraded.reason);
