grep -hv -e -1 "$2"/*.csv | sort -n > "$1/trips.csv"
