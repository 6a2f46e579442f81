package process

// openFiles lists this process's descriptors.
const openFiles = "/dev/fd"
