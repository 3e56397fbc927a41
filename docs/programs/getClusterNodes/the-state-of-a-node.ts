import * as pulumi from "@pulumi/pulumi";
import * as avma from "@pulumi-avma/avma";

const cl01 = avma.getClusterNodes({
    cluster: "cl01.example.com",
});
export const firstNode = cl01.then(cl01 => cl01.nodes[0].node);
export const state = cl01.then(cl01 => cl01.nodes[0].state);
