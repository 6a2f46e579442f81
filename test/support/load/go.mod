module sbx/load

go 1.26.0
