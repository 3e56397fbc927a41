import * as pulumi from "@pulumi/pulumi";
import * as avma from "@pulumi-avma/avma";

const config = new pulumi.Config();
const productKey = config.requireSecret("productKey");
const cl01 = new avma.ClusterLicense("cl01", {
    cluster: "cl01.example.com",
    productKey: productKey,
});
export const licensedNodes = cl01.licensedNodes;
