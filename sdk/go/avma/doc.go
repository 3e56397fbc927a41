// Windows Automatic Virtual Machine Activation: license Hyper-V hosts, activate their guests.
package avma
