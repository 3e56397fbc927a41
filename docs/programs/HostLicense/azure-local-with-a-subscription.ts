import * as pulumi from "@pulumi/pulumi";
import * as avma from "@pulumi-avma/avma";

const node01 = new avma.HostLicense("node01", {
    host: "node01.example.com",
    licenseSource: avma.LicenseSource.Subscription,
});
export const subscriptionStatus = node01.subscriptionStatus;
