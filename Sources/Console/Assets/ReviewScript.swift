/// The review page's part of the script: its keys, and the boxes that are drawn anew. Without it the page is a form.
enum ReviewScript {
    static let text = """
        (() => {
          const form = document.getElementById('review');
          if (!form) return;
          const edit = document.getElementById('edit'), said = document.getElementById('said');
          const press = verdict => form.querySelector(`button[value="${verdict}"]`).click();

          // A verdict is sent once, however often its key is struck. A page that a browser kept is as it was left.
          let isSent = false;
          form.addEventListener('submit', event => { if (isSent) event.preventDefault(); else isSent = true; });
          addEventListener('pageshow', () => { isSent = false; });

          const shortcuts = document.getElementById('shortcuts');
          document.getElementById('shortcut-switch').hidden = false;
          try { shortcuts.checked = localStorage.getItem('shortcuts') !== 'off'; } catch { }
          shortcuts.addEventListener('change', () => {
            try { localStorage.setItem('shortcuts', shortcuts.checked ? 'on' : 'off'); } catch { }
          });
          const judge = verdict => {
            if (edit?.open) said.textContent = 'The editor is open: save the edit (Ctrl+Enter), or leave it (Esc).';
            else press(verdict);
          };
          const keys = {
            a: () => judge('accept'), x: () => judge('reject'), ' ': () => judge('skip'), l: () => judge('looked'),
            e: () => { if (edit) edit.open = true; }, u: () => document.querySelector('#undo button').click(),
            '?': () => { const help = document.getElementById('help'); help.open = !help.open; },
          };
          const isWriting = one => one.closest?.('textarea, select, input:not([type=checkbox], [type=radio])');
          document.addEventListener('keydown', event => {
            if (edit?.open && event.key === 'Escape') {
              edit.open = false;
              edit.querySelector('summary').focus();
            } else if (edit?.open && event.key === 'Enter' && event.ctrlKey) {
              press('edit');
            } else {
              if (!shortcuts.checked || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
              if (event.defaultPrevented || isWriting(event.target)) return;
              // What has the focus takes the space bar itself.
              if (event.key === ' ' && event.target.closest('button, summary, a, input, [tabindex]')) return;
              const act = keys[event.key.toLowerCase()];
              if (!act) return;
              event.preventDefault();
              act();
            }
          });
          edit?.addEventListener('toggle', () => {
            document.body.classList.toggle('editing', edit.open);
            if (edit.open) (document.querySelector('.editor [tabindex]') ?? edit.querySelector('textarea, input, button')).focus();
          });
        })();

        """
}
