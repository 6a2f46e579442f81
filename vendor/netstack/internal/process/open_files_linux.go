package process

// openFiles lists this process's descriptors. A bare /dev lacks the link to it.
const openFiles = "/proc/self/fd"
