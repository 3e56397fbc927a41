import * as pulumi from "@pulumi/pulumi";
import * as avma from "@pulumi-avma/avma";

const config = new pulumi.Config();
const guestPassword = config.requireSecret("guestPassword");
const databasePassword = config.requireSecret("databasePassword");
const guests = new avma.ClusterActivation("guests", {
    hosts: [
        "hv01.example.com",
        "hv02.example.com",
    ],
    guest: {
        username: "Administrator",
        password: guestPassword,
    },
    guests: {
        db01: {
            username: "db-admin",
            password: databasePassword,
        },
    },
    unreachableGuests: avma.UnreadGuests.Fail,
});
export const notActivated = guests.notActivated;
