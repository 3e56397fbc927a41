import * as pulumi from "@pulumi/pulumi";
import * as avma from "@pulumi-avma/avma";

const web01 = avma.getVmActivation({
    host: "hv01.example.com",
    vmName: "web01",
});
export const guestVersion = web01.then(web01 => web01.guestVersion);
export const minutesRemaining = web01.then(web01 => web01.minutesRemaining);
