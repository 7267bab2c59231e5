"""Published methods, reimplemented from their papers, to be measured beside ours: faithful in what they compute,
fair in how."""
