import * as pulumi from "@pulumi/pulumi";
import * as avma from "@pulumi-avma/avma";

const hv01 = avma.getHostVms({
    host: "hv01.example.com",
});
export const firstVm = hv01.then(hv01 => hv01.vms[0].vmName);
export const running = hv01.then(hv01 => hv01.vms[0].running);
