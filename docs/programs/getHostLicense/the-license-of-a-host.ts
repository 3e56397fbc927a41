import * as pulumi from "@pulumi/pulumi";
import * as avma from "@pulumi-avma/avma";

const hv01 = avma.getHostLicense({
    host: "hv01.example.com",
});
export const edition = hv01.then(hv01 => hv01.edition);
export const osVersion = hv01.then(hv01 => hv01.osVersion);
