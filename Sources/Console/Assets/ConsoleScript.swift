/// The one script. Every page can be read without it.
enum ConsoleScript {
    static let text = """
        'use strict';
        (() => {
          const slider = document.querySelector('.slider');
          if (slider) {
            slider.hidden = false;
            const threshold = document.getElementById('threshold'), value = document.getElementById('threshold-value');
            const scored = [...document.querySelectorAll('[data-score]')];
            const apply = () => {
              const least = Number(threshold.value);
              value.value = least.toFixed(2);
              for (const one of scored) one.classList.toggle('unsure', Number(one.dataset.score) < least);
            };
            threshold.addEventListener('input', apply);
            // A browser keeps what was set when one comes back.
            apply();
            const boxes = document.getElementById('boxes');
            const show = () => document.body.classList.toggle('no-boxes', !boxes.checked);
            boxes.addEventListener('change', show);
            show();
          }
          const point = (event, on) => {
            const chip = event.target.closest?.('.chips li');
            const overlay = chip?.closest('.card')?.querySelector('.overlay');
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
