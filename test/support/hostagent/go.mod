module sbx.test/hostagent

go 1.26
