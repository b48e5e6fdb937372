"""The script that ``streamlit run`` is given where the package is installed."""

from capacity.ui import main

main()
