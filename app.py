from capacity.ui import main

main()
