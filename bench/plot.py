#!/usr/bin/env python3
"""Draws the table `hosts | up | ms a host | memory | MB a host | down` of bench/embedded.sh, read from
standard input, as one SVG with two curves over a logarithmic axis: milliseconds and megabytes a host."""
import math, re, sys

rows = [[float(cell) for cell in re.findall(r"[\d.]+", line)] for line in sys.stdin
        if re.match(r"\| *\d+ *\|( *[\d.]+ *\|){5}", line)]
if not rows:
    sys.exit("no table row on standard input")
hosts = [row[0] for row in rows]
width, height, left, right, top, bottom = 640, 320, 60, 60, 40, 50
low, high = math.log10(min(hosts)), math.log10(max(hosts))
x = lambda n: left + (math.log10(n) - low) / ((high - low) or 1) * (width - left - right)
out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
       f'font-size="12"><rect width="{width}" height="{height}" fill="white"/>']
for n in hosts:
    out.append(f'<line x1="{x(n):.1f}" y1="{top}" x2="{x(n):.1f}" y2="{height - bottom}" stroke="#ddd"/>'
               f'<text x="{x(n):.1f}" y="{height - bottom + 18}" text-anchor="middle">{n:.0f}</text>')
out.append(f'<text x="{width / 2}" y="{height - 8}" text-anchor="middle">hosts in one lab</text>')
for column, colour, label, side, anchor in [(2, "#0072b2", "ms a host, up to ready", left, "end"),
                                            (4, "#d55e00", "MB a host", width - right, "start")]:
    values = [row[column] for row in rows]
    most = max(values) * 1.1 or 1
    y = lambda v: height - bottom - v / most * (height - top - bottom)
    for share in (0, 0.5, 1):
        shift = -6 if anchor == "end" else 6
        out.append(f'<text x="{side + shift}" y="{y(most * share) + 4:.1f}" text-anchor="{anchor}" '
                   f'fill="{colour}">{most * share:.1f}</text>')
    points = " ".join(f"{x(n):.1f},{y(v):.1f}" for n, v in zip(hosts, values))
    out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
    out += [f'<circle cx="{x(n):.1f}" cy="{y(v):.1f}" r="3" fill="{colour}"/>' for n, v in zip(hosts, values)]
    out.append(f'<text x="{side}" y="{top - 16}" text-anchor="{"start" if anchor == "end" else "end"}" '
               f'fill="{colour}">{label}</text>')
print("\n".join(out) + "\n</svg>")
