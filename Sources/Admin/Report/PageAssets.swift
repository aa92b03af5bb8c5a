/// The page's style sheet and script, both inside the page: it is one file that can be sent by mail.
enum PageAssets {
    static let style = """

        :root {
          --ground: #f4f5f7; --card: #fff; --ink: #14181f; --soft: #5c6675; --faint: #8a94a3; --line: #e3e6eb;
          --well: #eceef2; --accent: #3b5bdb; --bar: #c5d0fa; --warn: #b4540a; --warnbg: #fff1e0; --ring: 0 0% 100%;
          --shadow: 0 1px 2px rgb(20 24 31 / .05), 0 6px 20px rgb(20 24 31 / .06);
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --ground: #0e1116; --card: #171b22; --ink: #e8ebf0; --soft: #a0aaba; --faint: #6f7a8a; --line: #262c36;
            --well: #0a0c10; --accent: #91a7ff; --bar: #2f3f7d; --warn: #ffc078; --warnbg: #3a2a14;
            --shadow: 0 1px 2px rgb(0 0 0 / .4), 0 6px 20px rgb(0 0 0 / .3);
          }
        }
        * { box-sizing: border-box; }
        body {
          margin: 0; background: var(--ground); color: var(--ink);
          font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
        }
        h1, h2, h3, p, ol, ul, dl, dd, figure { margin: 0; padding: 0; }
        .top {
          position: sticky; top: 0; z-index: 5; display: flex; flex-wrap: wrap; gap: 12px 28px; align-items: center;
          padding: 14px clamp(16px, 3vw, 40px); border-bottom: 1px solid var(--line);
          background: color-mix(in srgb, var(--ground) 86%, transparent); backdrop-filter: blur(12px);
        }
        .name h1 { font-size: 20px; line-height: 1.2; letter-spacing: -.01em; overflow-wrap: anywhere; }
        .name p { color: var(--faint); font-size: 12.5px; }
        .stats { display: flex; flex-wrap: wrap; gap: 4px 18px; list-style: none; color: var(--soft); font-size: 13px; }
        .stats b { color: var(--ink); font-size: 17px; font-variant-numeric: tabular-nums; margin-right: 2px; }
        .tools { display: flex; flex-wrap: wrap; align-items: center; gap: 10px; margin-left: auto; font-size: 13px; }
        .tools input[type=search] {
          width: min(300px, 70vw); padding: 7px 12px; border: 1px solid var(--line); border-radius: 9px;
          background: var(--card); color: inherit; font: inherit;
        }
        .tasks { display: flex; border: 1px solid var(--line); border-radius: 9px; overflow: hidden; }
        .tasks button {
          border: 0; padding: 7px 11px; background: var(--card); color: var(--soft); font: inherit; cursor: pointer;
        }
        .tasks button + button { border-left: 1px solid var(--line); }
        .tasks button[aria-pressed=true] { background: var(--accent); color: var(--card); }
        .toggle { display: flex; gap: 5px; align-items: center; color: var(--soft); cursor: pointer; }
        :focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
        #count { color: var(--faint); }
        main { padding: 22px clamp(16px, 3vw, 40px) 48px; }
        .grid {
          display: grid; grid-template-columns: repeat(auto-fill, minmax(min(330px, 100%), 1fr)); gap: 20px;
          align-items: start;
        }
        .wide { grid-template-columns: repeat(auto-fill, minmax(min(460px, 100%), 1fr)); }
        main > h2 { margin-bottom: 12px; font-size: 17px; letter-spacing: -.01em; }
        .grid + h2 { margin-top: 34px; }
        .card {
          background: var(--card); border: 1px solid var(--line); border-radius: 14px; overflow: hidden;
          box-shadow: var(--shadow); content-visibility: auto; contain-intrinsic-size: auto 460px;
        }
        .card[hidden] { display: none; }
        .frame { position: relative; background: var(--well); overflow: hidden; }
        .frame img {
          display: block; width: 100%; height: auto; min-height: 60px; color: var(--faint); font-size: 12px;
        }
        .strip {
          display: grid; grid-template-columns: repeat(var(--n), 1fr); gap: 2px; background: var(--well);
        }
        .strip img { aspect-ratio: 1; object-fit: contain; }
        .overlay { position: absolute; inset: 0; pointer-events: none; }
        .no-boxes .overlay { display: none; }
        .overlay svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible; }
        .overlay rect {
          fill: hsl(var(--h) 90% 55% / .07); stroke: hsl(var(--h) 88% 52%); stroke-width: 2.5;
          vector-effect: non-scaling-stroke; rx: 4px;
          filter: drop-shadow(0 0 1px rgb(0 0 0 / .55));
        }
        .overlay path { fill: hsl(var(--h) 90% 52% / .45); shape-rendering: crispEdges; }
        .overlay path ~ rect { fill: none; }
        .overlay rect.drawn { fill: none; stroke: #f00; stroke-width: 1; rx: 0; filter: none; }
        .tag {
          position: absolute; transform: translateY(-100%); max-width: 60%; padding: 0 6px;
          border-radius: 4px 4px 4px 0;
          background: hsl(var(--h) 78% 38%); color: #fff; font-size: 11.5px; font-weight: 600; line-height: 17px;
          white-space: nowrap; overflow: hidden; text-overflow: ellipsis; box-shadow: 0 0 0 1px hsl(var(--ring) / .25);
        }
        .tag.inside { transform: none; border-radius: 4px 0 4px 0; }
        .overlay.focus :is(rect, path, .tag):not(.on) { opacity: .15; }
        .overlay rect.on { fill: hsl(var(--h) 90% 55% / .28); stroke-width: 4; }
        .body { display: grid; gap: 10px; padding: 14px 16px 12px; }
        .caption { font-size: 16px; line-height: 1.4; overflow-wrap: anywhere; white-space: pre-line; }
        .caption + .score { margin-top: -8px; }
        .score { color: var(--faint); font-size: 12px; font-variant-numeric: tabular-nums; }
        .qa { display: grid; gap: 8px; }
        .qa dt { color: var(--soft); font-size: 13px; overflow-wrap: anywhere; }
        .qa dd { display: flex; align-items: center; gap: 10px; }
        .qa dd b { overflow-wrap: anywhere; }
        .meter { flex: 1; min-width: 30px; height: 4px; border-radius: 2px; background: var(--line); }
        .meter i { display: block; height: 100%; border-radius: 2px; background: var(--accent); }
        .p { color: var(--soft); font-size: 12px; font-variant-numeric: tabular-nums; white-space: nowrap; }
        .detect h3, .stage h3 {
          margin-bottom: 5px; color: var(--soft); font-size: 13px; font-weight: 400; overflow-wrap: anywhere;
        }
        .chips { display: flex; flex-wrap: wrap; gap: 6px; list-style: none; }
        .chips li {
          display: flex; gap: 6px; align-items: center; padding: 1px 9px; border-radius: 99px; font-size: 13px;
          background: hsl(var(--h) 80% 50% / .12); border: 1px solid hsl(var(--h) 70% 50% / .4); cursor: default;
        }
        .chips li::before {
          content: ""; width: 8px; height: 8px; border-radius: 50%; background: hsl(var(--h) 80% 48%);
        }
        .stage { padding-top: 8px; border-top: 1px solid var(--line); }
        .none { color: var(--faint); font-size: 13px; font-style: italic; }
        .cut {
          padding: 0 6px; border-radius: 4px; background: var(--warnbg); color: var(--warn); font-size: 11px;
          font-weight: 400; white-space: nowrap; vertical-align: 2px;
        }
        details { color: var(--soft); font-size: 13px; }
        summary { cursor: pointer; color: var(--faint); font-size: 12.5px; }
        details ol { padding-left: 22px; margin-top: 4px; }
        details ol.bars { padding-left: 0; }
        .best { display: flex; align-items: baseline; gap: 10px; font-size: 19px; letter-spacing: -.01em; }
        .best b { overflow-wrap: anywhere; }
        .best .p { font-size: 14px; }
        .bars { display: grid; gap: 4px; list-style: none; }
        .bars li {
          position: relative; display: flex; justify-content: space-between; gap: 12px; padding: 2px 9px;
          font-size: 13.5px;
          border-radius: 6px; background: color-mix(in srgb, var(--line) 45%, transparent); overflow: hidden;
        }
        .bars li > i { position: absolute; inset: 0 auto 0 0; background: var(--bar); min-width: 2px; }
        .bars li > span { position: relative; overflow-wrap: anywhere; }
        .card footer {
          display: flex; flex-wrap: wrap; gap: 2px 14px; padding: 8px 16px 10px; border-top: 1px solid var(--line);
          color: var(--faint); font-size: 12px;
        }
        .card footer .key { color: var(--soft); overflow-wrap: anywhere; }
        .card footer a { color: var(--accent); text-decoration: none; margin-left: auto; }
        .empty { padding: 18vh 0; text-align: center; color: var(--faint); }
        .failures { padding: 0 clamp(16px, 3vw, 40px) 48px; }
        .failures h2 { margin-bottom: 10px; font-size: 17px; }
        .scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 12px; background: var(--card); }
        table { width: 100%; border-collapse: collapse; font-size: 13px; }
        th { color: var(--faint); font-weight: 500; text-align: left; }
        th, td { padding: 7px 14px; border-bottom: 1px solid var(--line); vertical-align: top; }
        tr:last-child td { border-bottom: 0; }
        td.url { color: var(--soft); overflow-wrap: anywhere; min-width: 220px; }
        @media (max-width: 700px) { .top { position: static; } .tools { margin-left: 0; } }
        @media print { .tools { display: none; } .top { position: static; } .card { break-inside: avoid; } }

        """

    static let script = """

        (() => {
          const cards = [...document.querySelectorAll('.card')], filter = document.getElementById('filter');
          const count = document.getElementById('count'), buttons = [...document.querySelectorAll('[data-task]')];
          const apply = () => {
            const words = filter.value.toLowerCase().split(/\\s+/).filter(Boolean);
            const tasks = buttons.filter(b => b.getAttribute('aria-pressed') === 'true').map(b => b.dataset.task);
            let shown = 0;
            for (const card of cards) {
              const has = card.dataset.tasks.split(' ');
              card.hidden = !words.every(w => card.dataset.text.includes(w))
                || tasks.length > 0 && !tasks.some(t => has.includes(t));
              if (!card.hidden) shown++;
            }
            count.value = words.length || tasks.length ? `${shown} of ${cards.length}` : '';
          };
          filter.addEventListener('input', apply);
          for (const button of buttons) button.addEventListener('click', () => {
            button.setAttribute('aria-pressed', button.getAttribute('aria-pressed') !== 'true');
            apply();
          });
          document.getElementById('boxes').addEventListener('change', e =>
            document.body.classList.toggle('no-boxes', !e.target.checked));
          const point = (event, on) => {
            const chip = event.target.closest?.('.chips li');
            const overlay = chip?.closest('.card').querySelector('.overlay');
            if (!overlay) return;
            overlay.classList.toggle('focus', on);
            const parts = overlay.querySelectorAll(`[data-box="${chip.dataset.box}"]`);
            for (const part of parts) part.classList.toggle('on', on);
          };
          document.addEventListener('mouseover', e => point(e, true));
          document.addEventListener('mouseout', e => point(e, false));
        })();

        """
}
