sed 's/^/line: /' "$1" > "$2/lines.txt"
