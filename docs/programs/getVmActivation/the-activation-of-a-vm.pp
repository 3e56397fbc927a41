web01 = invoke("avma:index:getVmActivation", {
  host   = "hv01.example.com"
  vmName = "web01"
})

output "guestVersion" {
  value = web01.guestVersion
}

output "minutesRemaining" {
  value = web01.minutesRemaining
}
