import * as pulumi from "@pulumi/pulumi";
import * as avma from "@pulumi-avma/avma";

const config = new pulumi.Config();
const guestPassword = config.requireSecret("guestPassword");
const cl01 = new avma.ClusterLicense("cl01", {cluster: "cl01.example.com"});
const web01 = new avma.VmActivation("web01", {
    hosts: [
        "hv01.example.com",
        "hv02.example.com",
    ],
    vmName: "web01",
    guest: {
        transport: avma.Transport.Winrm,
        username: "Administrator",
        password: guestPassword,
    },
    onDelete: avma.GuestOnDelete.RestoreKmsClientKey,
}, {
    dependsOn: [cl01],
});
