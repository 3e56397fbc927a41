// The quickstart in TypeScript: a host gets its licence, and a guest on it is activated.
import * as avma from "@pulumi-avma/avma";
import * as pulumi from "@pulumi/pulumi";

const config = new pulumi.Config();
const hv01 = new avma.HostLicense("hv01", {
    host: config.require("host"),
    productKey: config.requireSecret("productKey"),
});
const web01 = new avma.VmActivation("web01", { host: hv01.host, vmName: "web01" });
export const activatedByHost = web01.activatedByHost;
