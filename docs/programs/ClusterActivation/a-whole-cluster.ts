import * as pulumi from "@pulumi/pulumi";
import * as avma from "@pulumi-avma/avma";

const config = new pulumi.Config();
const guestPassword = config.requireSecret("guestPassword");
const guests = new avma.ClusterActivation("guests", {
    cluster: "cl01.example.com",
    exclude: ["test-*"],
    guest: {
        username: "Administrator",
        password: guestPassword,
    },
});
export const activated = guests.activated;
