import * as pulumi from "@pulumi/pulumi";
import * as avma from "@pulumi-avma/avma";

const config = new pulumi.Config();
const guestPassword = config.requireSecret("guestPassword");
const hv01 = new avma.HostLicense("hv01", {host: "hv01.example.com"});
const web01 = new avma.VmActivation("web01", {
    host: hv01.host,
    vmName: "web01",
    guest: {
        username: "Administrator",
        password: guestPassword,
    },
});
export const activatedByHost = web01.activatedByHost;
