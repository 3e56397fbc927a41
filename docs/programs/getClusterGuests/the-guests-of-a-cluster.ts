import * as pulumi from "@pulumi/pulumi";
import * as avma from "@pulumi-avma/avma";

const cl01 = avma.getClusterGuests({
    cluster: "cl01.example.com",
});
export const activated = cl01.then(cl01 => cl01.activated);
export const notActivated = cl01.then(cl01 => cl01.notActivated);
