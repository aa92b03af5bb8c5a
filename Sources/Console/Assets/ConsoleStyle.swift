/// The style of the console's own pages, behind that of the cards.
enum ConsoleStyle {
    static let sheet = """

        body { font-size: 14px; }
        a { color: var(--accent); }
        .skip { position: absolute; left: -999px; top: 0; z-index: 9; padding: 8px 14px; background: var(--card); }
        .skip:focus { left: 8px; }
        .away { position: absolute; width: 1px; height: 1px; margin: 0; overflow: hidden; clip-path: inset(50%); }
        .bar {
          display: flex; flex-wrap: wrap; align-items: center; gap: 4px 26px; padding: 0 clamp(14px, 2.4vw, 32px);
          min-height: 50px; border-bottom: 1px solid var(--line); background: var(--card);
        }
        .brand { font-weight: 700; font-size: 16px; letter-spacing: -.02em; }
        .bar nav ul { display: flex; flex-wrap: wrap; gap: 2px; list-style: none; }
        .bar nav a {
          display: block; padding: 13px 12px 11px; border-bottom: 2px solid transparent; color: var(--soft);
          text-decoration: none;
        }
        .bar nav a:hover { color: var(--ink); }
        .bar nav a[aria-current] { border-color: var(--accent); color: var(--ink); font-weight: 600; }
        .find { display: flex; align-items: center; gap: 8px; margin-left: auto; padding: 6px 0; }
        .find label { color: var(--faint); font-size: 12.5px; }
        .find input { width: 150px; }
        input, select, button, .reset {
          min-height: 32px; padding: 4px 10px; border: 1px solid var(--line); border-radius: 8px; background: var(--card);
          color: inherit; font: inherit;
        }
        input::placeholder { color: var(--faint); opacity: 1; }
        main { padding: 20px clamp(14px, 2.4vw, 32px) 48px; }
        h1 { font-size: 20px; line-height: 1.25; letter-spacing: -.015em; overflow-wrap: anywhere; }
        h2 { margin: 26px 0 9px; font-size: 15px; letter-spacing: -.01em; }
        .head { display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 18px; margin-bottom: 14px; }
        .head p { color: var(--soft); }
        .tiles { display: flex; flex-wrap: wrap; gap: 10px; margin: 0 0 4px; list-style: none; }
        .tiles li {
          min-width: 118px; padding: 10px 16px; border: 1px solid var(--line); border-radius: 12px; background: var(--card);
          color: var(--soft); font-size: 12.5px;
        }
        .tiles b {
          display: block; color: var(--ink); font-size: 22px; font-weight: 650; line-height: 1.2; letter-spacing: -.02em;
          font-variant-numeric: tabular-nums;
        }
        .tiles .bad b { color: var(--bad); }
        td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
        tbody th { color: var(--ink); font-weight: 500; overflow-wrap: anywhere; white-space: normal; min-width: 110px; }
        tbody tr:hover > * { background: color-mix(in srgb, var(--line) 30%, transparent); }
        td { overflow-wrap: break-word; }
        time { white-space: nowrap; }
        .url, .facts code { overflow-wrap: anywhere; }
        .progress { display: flex; align-items: center; gap: 9px; min-width: 150px; }
        .progress .meter { height: 8px; border-radius: 4px; }
        .meter .dead { fill: var(--bad); }
        .bad { color: var(--bad); } .good { color: var(--good); } .warn { color: var(--warn); } .soft { color: var(--soft); }
        .tag {
          display: inline-block; padding: 0 8px; border: 1px solid var(--line); border-radius: 99px; color: var(--soft);
          font-size: 12px; white-space: nowrap;
        }
        .filters { display: flex; flex-wrap: wrap; align-items: end; gap: 10px; margin-bottom: 16px; }
        .field { display: grid; gap: 2px; }
        .field span { color: var(--faint); font-size: 12px; }
        .field input, .field select { width: 156px; }
        .field select { width: 176px; }
        .field.short input { width: 92px; }
        .filters button {
          border-color: var(--accent); background: var(--accent); color: var(--card); font-weight: 600; cursor: pointer;
        }
        .reset { display: inline-flex; align-items: center; color: var(--soft); text-decoration: none; }
        .action { display: inline-block; margin: 0 8px 12px 0; }
        .action button { cursor: pointer; font-weight: 600; color: var(--accent); border-color: currentColor; }
        .slider {
          display: flex; flex-wrap: wrap; align-items: center; gap: 8px; margin-bottom: 14px; color: var(--soft);
          font-size: 13px;
        }
        .slider[hidden] { display: none; }
        .slider input[type=range] { width: 210px; padding: 0; accent-color: var(--accent); }
        .slider output { min-width: 36px; font-variant-numeric: tabular-nums; }
        .toggle { display: flex; gap: 6px; align-items: center; min-height: 24px; margin-left: 12px; }
        .toggle input { min-height: 18px; width: 18px; }
        main .grid { grid-template-columns: repeat(auto-fill, minmax(min(270px, 100%), 1fr)); gap: 14px; }
        main .grid.wide { grid-template-columns: repeat(auto-fill, minmax(min(430px, 100%), 1fr)); }
        .grid .card { border-radius: 10px; box-shadow: none; contain-intrinsic-size: auto 380px; }
        .grid .body { gap: 7px; padding: 10px 12px 9px; }
        .grid .caption { font-size: 14.5px; }
        .grid footer { padding: 6px 12px 8px; }
        .more-link { margin-top: 18px; }
        .more-link a {
          display: inline-block; padding: 7px 18px; border: 1px solid var(--line); border-radius: 8px; background: var(--card);
          text-decoration: none;
        }
        .item { display: grid; grid-template-columns: minmax(0, 7fr) minmax(300px, 4fr); gap: 22px; align-items: start; }
        .item > div > h2:first-child { margin-top: 0; }
        .item .card > .frame { width: fit-content; max-width: 100%; margin: 0 auto; }
        .item .card > .frame img { width: auto; min-width: min(420px, 100%); max-width: 100%; }
        .item .card { contain-intrinsic-size: auto 700px; }
        .facts { display: grid; gap: 0; border: 1px solid var(--line); border-radius: 10px; background: var(--card); }
        .facts div {
          display: grid; grid-template-columns: 118px minmax(0, 1fr); gap: 10px; padding: 5px 12px;
          border-bottom: 1px solid var(--line);
        }
        .facts div:last-child { border-bottom: 0; }
        .facts dt { color: var(--faint); font-size: 12.5px; }
        .facts dd { overflow-wrap: anywhere; }
        .urls { list-style: none; }
        .urls li { min-height: 26px; }
        .lines { padding: 8px 12px 8px 28px; border: 1px solid var(--line); border-radius: 10px; background: var(--card); }
        .lines li { overflow-wrap: anywhere; }
        .said { min-width: 180px; overflow-wrap: anywhere; white-space: pre-wrap; }
        .long { max-height: 220px; overflow: auto; }
        code, pre { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: 12px; }
        .tokens { display: flex; flex-wrap: wrap; gap: 3px; list-style: none; }
        .tokens li {
          padding: 0 5px; border-radius: 4px; background: var(--well); font-size: 11.5px; font-variant-numeric: tabular-nums;
        }
        .tokens .low { background: var(--warnbg); color: var(--warn); font-weight: 600; }
        .dissents { background: var(--warnbg); color: var(--warn); }
        .interval { width: 170px; height: 16px; margin-right: 6px; vertical-align: middle; }
        .interval line { stroke: var(--accent); stroke-width: 3; }
        .interval .axis { stroke: var(--line); stroke-width: 1; }
        .interval circle { fill: var(--ink); }
        .statements { margin-top: 34px; }
        .sql {
          margin: 8px 0 0; padding: 12px 16px; border: 1px solid var(--line); border-radius: 10px; background: var(--well);
          color: var(--ink); white-space: pre-wrap; overflow-wrap: anywhere; overflow: auto; max-height: 380px;
        }
        .problem { max-width: 660px; margin: 11vh auto 0; }
        .problem h1 { margin-bottom: 8px; font-size: 26px; }
        @media (max-width: 900px) { .item { grid-template-columns: minmax(0, 1fr); } }
        @media (max-width: 560px) {
          .find { margin-left: 0; } .field, .field input, .field select { width: 100%; } .field.short { width: 46%; }
          .bar nav a { padding: 8px 9px 6px; }
        }
        @media (prefers-reduced-motion: reduce) { * { animation: none !important; transition: none !important; } }

        """
}
