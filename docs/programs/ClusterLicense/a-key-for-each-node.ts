import * as pulumi from "@pulumi/pulumi";
import * as avma from "@pulumi-avma/avma";

const config = new pulumi.Config();
const firstKey = config.requireSecret("firstKey");
const secondKey = config.requireSecret("secondKey");
const cl01 = new avma.ClusterLicense("cl01", {
    nodes: [
        "hv01.example.com",
        "hv02.example.com",
    ],
    productKeys: {
        "hv01.example.com": firstKey,
        "hv02.example.com": secondKey,
    },
});
export const licensedNodes = cl01.licensedNodes;
