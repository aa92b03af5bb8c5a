/// The style of cards and of what all pages share: the report carries it, the console serves it.
package enum CardStyle {
    /// A style sheet.
    package static let sheet = """

        :root {
          --ground: #f4f5f7; --card: #fff; --ink: #14181f; --soft: #4b5563; --faint: #646d7b; --line: #dfe3e8;
          --well: #e9ecf1; --accent: #3451c6; --bar: #c5d0fa; --warn: #8f4106; --warnbg: #fff1e0; --bad: #b4232c;
          --good: #1a7a3c; --fill: 45%; --text: 32%;
          --shadow: 0 1px 2px rgb(20 24 31 / .05), 0 6px 20px rgb(20 24 31 / .06);
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --ground: #0e1116; --card: #171b22; --ink: #e8ebf0; --soft: #a9b3c2; --faint: #8d97a6; --line: #2a313c;
            --well: #0a0c10; --accent: #91a7ff; --bar: #2f3f7d; --warn: #ffc078; --warnbg: #3a2a14; --bad: #ff8a8f;
            --good: #6fd492; --fill: 55%; --text: 75%;
            --shadow: 0 1px 2px rgb(0 0 0 / .4), 0 6px 20px rgb(0 0 0 / .3);
          }
        }
        * { box-sizing: border-box; }
        body {
          margin: 0; background: var(--ground); color: var(--ink);
          font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
        }
        h1, h2, h3, p, ol, ul, dl, dd, figure { margin: 0; padding: 0; }
        :focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
        .grid {
          display: grid; grid-template-columns: repeat(auto-fill, minmax(min(330px, 100%), 1fr)); gap: 20px;
          align-items: start;
        }
        .wide { grid-template-columns: repeat(auto-fill, minmax(min(460px, 100%), 1fr)); }
        .card {
          background: var(--card); border: 1px solid var(--line); border-radius: 14px; overflow: hidden;
          box-shadow: var(--shadow); content-visibility: auto; contain-intrinsic-size: auto 460px;
        }
        .card[hidden] { display: none; }
        .frame { position: relative; background: var(--well); overflow: hidden; }
        .frame img {
          display: block; width: 100%; height: auto; min-height: 60px; color: var(--faint); font-size: 12px;
        }
        .frame a { display: block; }
        .strip { display: grid; gap: 2px; background: var(--well); }
        .n1 { grid-template-columns: repeat(1, 1fr); }
        .n2 { grid-template-columns: repeat(2, 1fr); }
        .n3 { grid-template-columns: repeat(3, 1fr); }
        .n4 { grid-template-columns: repeat(4, 1fr); }
        .n5 { grid-template-columns: repeat(5, 1fr); }
        .n6 { grid-template-columns: repeat(6, 1fr); }
        .strip img { aspect-ratio: 1; object-fit: contain; }
        .h0 { --h: 0; }
        .h1 { --h: 24; }
        .h2 { --h: 48; }
        .h3 { --h: 72; }
        .h4 { --h: 96; }
        .h5 { --h: 120; }
        .h6 { --h: 144; }
        .h7 { --h: 168; }
        .h8 { --h: 192; }
        .h9 { --h: 216; }
        .h10 { --h: 240; }
        .h11 { --h: 264; }
        .h12 { --h: 288; }
        .h13 { --h: 312; }
        .h14 { --h: 336; }
        .overlay { position: absolute; inset: 0; width: 100%; height: 100%; pointer-events: none; }
        .no-boxes .overlay { display: none; }
        .overlay svg { width: 100%; height: 100%; }
        .overlay rect {
          fill: hsl(var(--h) 90% 55% / .07); stroke: hsl(var(--h) 88% 52%); stroke-width: 2.5; rx: 4px;
          filter: drop-shadow(0 0 1px rgb(0 0 0 / .55));
        }
        .d1 rect { stroke-dasharray: 9 4; }
        .d2 rect { stroke-dasharray: 3 3; }
        .d3 rect { stroke-dasharray: 12 4 3 4; }
        .overlay text {
          fill: #fff; stroke: hsl(var(--h) 78% 30%); stroke-width: 6px; stroke-linejoin: round; paint-order: stroke;
          font-size: 12px; font-weight: 600;
        }
        .overlay path { fill: hsl(var(--h) 90% 52% / .45); shape-rendering: crispEdges; }
        .overlay svg ~ .box rect { fill: none; }
        .overlay rect.drawn { fill: none; stroke: #f00; stroke-width: 1; rx: 0; filter: none; }
        .overlay.focus :is(g, path):not(.on) { opacity: .15; }
        .overlay .on rect { fill: hsl(var(--h) 90% 55% / .28); stroke-width: 4; }
        .overlay .unsure, .chips .unsure { display: none; }
        .body { display: grid; gap: 10px; padding: 14px 16px 12px; }
        .caption { font-size: 16px; line-height: 1.4; overflow-wrap: anywhere; white-space: pre-line; }
        .caption + .score { margin-top: -8px; }
        .score { color: var(--faint); font-size: 12px; font-variant-numeric: tabular-nums; }
        .qa { display: grid; gap: 8px; }
        .qa dt { color: var(--soft); font-size: 13px; overflow-wrap: anywhere; }
        .qa dd:not(.more) { display: flex; align-items: center; gap: 10px; }
        .qa dd b { overflow-wrap: anywhere; }
        .meter { flex: 1; width: 0; min-width: 30px; height: 4px; border-radius: 2px; background: var(--line); }
        .meter rect { fill: var(--accent); }
        .p { color: var(--soft); font-size: 12px; font-variant-numeric: tabular-nums; white-space: nowrap; }
        .detect h3, .stage h3 {
          margin-bottom: 5px; color: var(--soft); font-size: 13px; font-weight: 400; overflow-wrap: anywhere;
        }
        .chips { display: flex; flex-wrap: wrap; gap: 6px; list-style: none; }
        .chips li {
          display: flex; gap: 6px; align-items: center; padding: 1px 9px; border-radius: 99px; font-size: 13px;
          background: hsl(var(--h) 80% 50% / .12); border: 1px solid hsl(var(--h) 70% 50% / .4); overflow-wrap: anywhere;
        }
        .chips li::before {
          content: ""; flex: none; width: 8px; height: 8px; border-radius: 50%; background: hsl(var(--h) 80% 48%);
        }
        .stage { padding-top: 8px; border-top: 1px solid var(--line); }
        .none { color: var(--faint); font-size: 13px; font-style: italic; }
        .cut {
          padding: 0 6px; border-radius: 4px; background: var(--warnbg); color: var(--warn); font-size: 11px;
          font-weight: 400; white-space: nowrap; vertical-align: 2px;
        }
        details { color: var(--soft); font-size: 13px; }
        summary { cursor: pointer; color: var(--faint); font-size: 12.5px; min-height: 24px; }
        details ol { padding-left: 22px; margin-top: 4px; overflow-wrap: anywhere; }
        details ol.bars { padding-left: 0; }
        .best { display: flex; align-items: baseline; gap: 10px; font-size: 19px; letter-spacing: -.01em; }
        .best b { overflow-wrap: anywhere; }
        .best .p { font-size: 14px; }
        .bars { display: grid; gap: 4px; list-style: none; }
        .bars li {
          position: relative; display: flex; justify-content: space-between; gap: 12px; padding: 2px 9px; color: var(--ink);
          font-size: 13.5px;
          border-radius: 6px; background: color-mix(in srgb, var(--line) 45%, transparent); overflow: hidden;
        }
        .fill { position: absolute; inset: 0; width: 100%; height: 100%; }
        .fill rect { fill: var(--bar); }
        .bars li > span { position: relative; overflow-wrap: anywhere; }
        .card footer {
          display: flex; flex-wrap: wrap; gap: 2px 14px; padding: 8px 16px 10px; border-top: 1px solid var(--line);
          color: var(--faint); font-size: 12px;
        }
        .card footer .key { color: var(--soft); overflow-wrap: anywhere; }
        .card footer a { color: var(--accent); }
        .card footer a.original { margin-left: auto; }
        .empty { padding: 18vh 0; text-align: center; color: var(--faint); }
        .scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 12px; background: var(--card); }
        table { width: 100%; border-collapse: collapse; font-size: 13px; }
        th { color: var(--faint); font-weight: 500; text-align: left; white-space: nowrap; }
        th, td { padding: 7px 14px; border-bottom: 1px solid var(--line); vertical-align: top; }
        tr:last-child > * { border-bottom: 0; }
        thead tr:last-child > * { border-bottom: 1px solid var(--line); }
        td.url { color: var(--soft); overflow-wrap: anywhere; min-width: 220px; }

        """
}
