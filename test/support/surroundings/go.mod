module sbx/surroundings

go 1.26.0
