import * as pulumi from "@pulumi/pulumi";
import * as avma from "@pulumi-avma/avma";

const hv01 = new avma.HostLicense("hv01", {host: "hv01.example.com"});
export const licenseChannel = hv01.licenseChannel;
