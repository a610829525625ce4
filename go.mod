module libchat

go 1.26

ignore ./target
