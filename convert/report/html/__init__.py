"""Pages to look at: one HTML file that needs nothing else (docs/reports.md).

How to add a page:

1. Write a function `NAME_page(…) -> bytes` in a module of this package. It calls `page.render` with a function that
   takes a `Room` and returns a `Page`. `render` calls it again with less room until the page is within
   `MAX_PAGE_SIZE`, so it must not change what it is given.
2. Take what can be long through the room: `room.first(things, "files", command)` returns as many as there is room
   for, and the page then says how many it left out and which command prints all of them. Everything that becomes a
   row of a table or a part of a drawing goes through it. `Page.data` is cut by `render`.
3. Write `templates/NAME.html`: `{% extends "base.html" %}`, `{% import "macros.html" as m with context %}`, and a
   block `content` of `<section>`s. `page.values` are its variables. `Page.sections` are the links at the top, each
   (id, title).
4. Use the macros: `m.table` (caption, head, the command that prints it; put `data-value` on cells that sort by
   another value than their text), `m.digest`, `m.name`, `m.bar`, `m.finding`, `m.drawing`.
5. Describe the data in `schemas/page-NAME.json`, add a function to `convert/commands/pages.py`
   that takes the reports of the command, and call it and `convert.cli.pages.page_file` in the command.

What makes pages safe is done once, for all of them:

- Every value that a template prints is escaped, and first goes through `text.shown`, which writes control,
  bidirectional and invisible characters as codes and cuts long texts. Only `Markup` is printed as it is: it comes
  from templates, `drawing.Drawing` and `json_text.in_script`; never construct it from a text of the archive.
- The Content-Security-Policy allows the style sheet and the script of `templates/` by their digests, and nothing
  else. So there are no `style=` attributes and no event handlers in the markup; widths of bars and drawings are
  attributes of SVG.
- Links lead to `#…`, or to a citation of our own rules with `rel="noreferrer"`; never to a text of the archive.

The script sorts, filters and folds; a page is complete without it. Nothing in a page depends on the time or the
machine.
"""
