"""The tests of headrace; see CONTRIBUTING.md."""
