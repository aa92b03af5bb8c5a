/// Boxes that are moved by mouse and by keyboard. The table's fields hold them; this draws what the fields say.
enum BoxScript {
    static let text = """
        (() => {
          const table = document.getElementById('box-rows');
          if (!table) return;
          const said = document.getElementById('said'), model = document.getElementById('box-row');
          const create = (name, attributes, parent) => {
            const made = document.createElementNS('http://www.w3.org/2000/svg', name);
            for (const key in attributes) made.setAttribute(key, attributes[key]);
            parent.append(made);
            return made;
          };
          const layers = [...document.querySelectorAll('.item .frame')].map(frame =>
            create('svg', { class: 'overlay editor', role: 'group', 'aria-label': 'Boxes that can be moved' }, frame));
          const shapes = new Map();
          const edges = ['y1', 'x1', 'y2', 'x2'], least = 0.004;
          const field = (row, name) => row.querySelector(`[name=${name}]`);
          const read = row => edges.map(name => Number(field(row, name).value));
          const isGone = row => field(row, 'gone').checked;
          const within = (low, value, high) => Math.min(Math.max(value, low), high);
          const percent = share => `${(share * 100).toFixed(3)}%`;

          // FNV-1a, as the other pages have it.
          const hue = label => {
            let hash = 2166136261;
            for (const byte of new TextEncoder().encode(label.toLowerCase())) hash = Math.imul(hash ^ byte, 16777619) >>> 0;
            return ((hash ^ hash >>> 15) >>> 0) % 15;
          };
          const draw = row => {
            const [y1, x1, y2, x2] = read(row), label = field(row, 'box-label').value, shape = shapes.get(row);
            const labels = [...new Set([...table.rows].map(one => field(one, 'box-label').value))];
            const state = `${row === selected ? ' on' : ''}${isGone(row) ? ' gone' : ''}`;
            shape.setAttribute('class', `box h${hue(label)} d${labels.indexOf(label) % 4}${state}`);
            const number = [...table.rows].indexOf(row) + 1;
            shape.setAttribute('aria-label', `Box ${number}: ${label}${isGone(row) ? ', deleted' : ''}`);
            const [rect, text, ...handles] = shape.children;
            const place = { x: x1, y: y1, width: Math.max(x2 - x1, 0), height: Math.max(y2 - y1, 0) };
            for (const name in place) rect.setAttribute(name, percent(place[name]));
            text.setAttribute('x', percent(x1));
            text.setAttribute('y', percent(y1));
            text.setAttribute('dy', y1 < 0.07 ? 15 : -5);
            text.textContent = label;
            handles.forEach((handle, n) => {
              handle.setAttribute('cx', percent(n % 2 ? x2 : x1));
              handle.setAttribute('cy', percent(n < 2 ? y1 : y2));
            });
            row.classList.toggle('on', row === selected);
            row.classList.toggle('gone', isGone(row));
          };
          let selected = null;
          const select = row => {
            const before = selected;
            selected = row;
            if (before?.isConnected) draw(before);
            if (row) draw(row);
          };
          const say = row => {
            const places = read(row).map(share => share.toFixed(3));
            said.textContent = `${field(row, 'box-label').value || 'box'}: top ${places[0]}, left ${places[1]}, bottom ${places[2]}, right ${places[3]}`
              + (isGone(row) ? ', deleted' : '');
          };
          const write = (row, places) => {
            // A place that does not change keeps its digits, and so its mask.
            edges.forEach((name, n) => {
              const text = places[n].toFixed(4);
              if (Number(field(row, name).value).toFixed(4) !== text) field(row, name).value = text;
            });
            draw(row);
          };
          const move = (row, [y1, x1, y2, x2], down, right) => {
            down = within(-y1, down, 1 - y2);
            right = within(-x1, right, 1 - x2);
            write(row, [y1 + down, x1 + right, y2 + down, x2 + right]);
          };
          const show = row => {
            const layer = layers[Number(field(row, 'image').value) - 1];
            if (!layer) return;
            const shape = create('g', { tabindex: 0, role: 'button', 'aria-describedby': 'box-keys' }, layer);
            create('rect', {}, shape);
            create('text', { dx: 5 }, shape);
            for (let n = 0; n < 4; n++) create('circle', { r: 6 }, shape);
            shapes.set(row, shape);
            shape.addEventListener('focus', () => select(row));
            shape.addEventListener('keydown', event => press(event, row));
            shape.addEventListener('keyup', event => { if (event.key.startsWith('Arrow')) say(row); });
            draw(row);
          };
          let count = 0;
          const add = (image, places) => {
            const row = model.content.firstElementChild.cloneNode(true);
            count += 1;
            field(row, 'box').value = field(row, 'gone').value = `+${count}`;
            field(row, 'image').value = image;
            const labels = [...table.rows].map(one => field(one, 'box-label').value);
            field(row, 'box-label').value = labels.length ? field(selected ?? table.rows[0], 'box-label').value : '';
            edges.forEach((name, n) => { field(row, name).value = places[n].toFixed(4); });
            for (const one of row.querySelectorAll('[aria-label]')) {
              one.setAttribute('aria-label', one.getAttribute('aria-label') + (table.rows.length + 1));
            }
            table.append(row);
            show(row);
            select(row);
            return row;
          };
          const remove = row => {
            shapes.get(row).remove();
            shapes.delete(row);
            row.remove();
            selected = null;
          };
          const toggle = row => {
            field(row, 'gone').checked = !isGone(row);
            draw(row);
            say(row);
          };
          const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
          const press = (event, row) => {
            if (event.ctrlKey || event.metaKey || event.altKey) return;
            const step = steps[event.key]?.map(way => way * 0.005);
            if (step && event.shiftKey) {
              const [y1, x1, y2, x2] = read(row);
              write(row, [y1, x1, within(y1 + least, y2 + step[0], 1), within(x1 + least, x2 + step[1], 1)]);
            } else if (step) {
              move(row, read(row), ...step);
            } else if (event.key === 'Delete' || event.key === 'Backspace') {
              toggle(row);
            } else if (event.key === 'Enter' || event.key === ' ') {
              field(row, 'box-label').focus();
              field(row, 'box-label').select();
            } else {
              return;
            }
            event.preventDefault();
          };

          // By mouse or finger: a corner, a whole box, or, where there is none, a new one.
          let drag = null;
          const point = (event, layer) => {
            const frame = layer.getBoundingClientRect();
            return [within(0, (event.clientY - frame.top) / frame.height, 1), within(0, (event.clientX - frame.left) / frame.width, 1)];
          };
          const hit = (layer, [y, x]) => {
            const frame = layer.getBoundingClientRect();
            const rows = [...table.rows].filter(row => shapes.get(row)?.parentNode === layer && !isGone(row));
            let nearest = null;
            for (const row of rows) {
              const [y1, x1, y2, x2] = read(row);
              for (const [cy, cx, oy, ox] of [[y1, x1, y2, x2], [y1, x2, y2, x1], [y2, x1, y1, x2], [y2, x2, y1, x1]]) {
                const away = Math.hypot((cy - y) * frame.height, (cx - x) * frame.width) - (row === selected ? 4 : 0);
                if (away < 12 && !(nearest?.away <= away)) nearest = { away, row, anchor: [oy, ox] };
              }
            }
            if (nearest) return nearest;
            const area = row => { const [y1, x1, y2, x2] = read(row); return (y2 - y1) * (x2 - x1); };
            const inside = rows.filter(row => { const [y1, x1, y2, x2] = read(row); return y1 <= y && y <= y2 && x1 <= x && x <= x2; });
            const row = inside.sort((one, other) => area(one) - area(other))[0];
            return row ? { row } : null;
          };
          layers.forEach((layer, index) => {
            layer.addEventListener('pointerdown', event => {
              if (event.button !== 0) return;
              event.preventDefault();
              const at = point(event, layer), found = hit(layer, at);
              if (found) drag = { ...found, at, before: read(found.row) };
              else drag = { row: add(index + 1, [...at, ...at]), anchor: at, at, isNew: true };
              shapes.get(drag.row).focus();
              layer.setPointerCapture(event.pointerId);
            });
            // The focus is ours: a browser would give it to what lies on top.
            layer.addEventListener('mousedown', event => event.preventDefault());
            layer.addEventListener('pointermove', event => {
              if (!drag) return;
              const at = point(event, layer);
              if (drag.anchor) {
                const [y, x] = drag.anchor;
                write(drag.row, [Math.min(y, at[0]), Math.min(x, at[1]), Math.max(y, at[0]), Math.max(x, at[1])]);
              } else {
                move(drag.row, drag.before, at[0] - drag.at[0], at[1] - drag.at[1]);
              }
            });
            const end = isCancelled => {
              if (!drag) return;
              const { row, isNew, before } = drag;
              drag = null;
              const [y1, x1, y2, x2] = read(row);
              const isTiny = y2 - y1 < least || x2 - x1 < least;
              if (isNew && (isCancelled || isTiny)) return remove(row);
              if (isCancelled || isTiny) write(row, before);
              say(row);
            };
            layer.addEventListener('pointerup', () => end(false));
            layer.addEventListener('pointercancel', () => end(true));
          });

          table.addEventListener('input', event => draw(event.target.closest('tr')));
          table.addEventListener('focusin', event => select(event.target.closest('tr')));
          const button = document.getElementById('add-box');
          button.hidden = false;
          button.addEventListener('click', () => {
            const row = add(1, [0.4, 0.4, 0.6, 0.6]);
            field(row, 'box-label').focus();
            field(row, 'box-label').select();
            said.textContent = 'A box in the middle was added.';
          });
          for (const row of table.rows) show(row);
        })();

        """
}
