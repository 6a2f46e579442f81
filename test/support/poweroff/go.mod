module sbx/poweroff

go 1.26.0
