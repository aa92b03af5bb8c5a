import Console

/// What the page has beside its cards' style sheet, both inside the page: it is one file that can be sent by mail.
enum PageAssets {
    static let style =
        CardStyle.sheet + """

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
            #count { color: var(--faint); }
            main { padding: 22px clamp(16px, 3vw, 40px) 48px; }
            main > h2 { margin-bottom: 12px; font-size: 17px; letter-spacing: -.01em; }
            .grid + h2 { margin-top: 34px; }
            .failures { padding: 0 clamp(16px, 3vw, 40px) 48px; }
            .failures h2 { margin-bottom: 10px; font-size: 17px; }
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
