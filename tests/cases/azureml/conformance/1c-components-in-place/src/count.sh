uniq -c "$1" | sed 's/^ *//' > "$2/counted.txt"
