import * as pulumi from "@pulumi/pulumi";
import * as avma from "@pulumi-avma/avma";

const config = new pulumi.Config();
const productKey = config.requireSecret("productKey");
const hv01 = new avma.HostLicense("hv01", {
    host: "hv01.example.com",
    productKey: productKey,
    productKeyVersion: avma.Version.Version_2025,
});
export const activatesGuests = hv01.activatesGuests;
