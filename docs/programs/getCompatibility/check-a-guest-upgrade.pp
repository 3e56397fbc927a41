upgraded = invoke("avma:index:getCompatibility", {
  hostVersion  = "2022"
  guestVersion = "2025"
})

output "activates" {
  value = upgraded.activates
}

output "reason" {
  value = upgraded.reason
}
