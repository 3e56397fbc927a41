import * as pulumi from "@pulumi/pulumi";
import * as avma from "@pulumi-avma/avma";

const standard2022 = avma.getAvmaKey({
    version: avma.Version.Version_2022,
    edition: avma.Edition.Standard,
});
export const productKey = standard2022.then(standard2022 => standard2022.productKey);
