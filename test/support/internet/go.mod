module sbx/internet

go 1.26.0
