// Windows Automatic Virtual Machine Activation: license Hyper-V hosts and activate their guests.
package avma
