"""The tests mirror the tree; pipeline/ holds those with crashes, load and several processes."""
