# To be sourced in the root of the checkout: $programs is the folder of the programs of .venv.
programs="$PWD/.venv/bin"
[ ! -d .venv/Scripts ] || programs="$PWD/.venv/Scripts" # Windows
