hv01 = invoke("avma:index:getHostVms", {
  host = "hv01.example.com"
})

output "firstVm" {
  value = hv01.vms[0].vmName
}

output "running" {
  value = hv01.vms[0].running
}
