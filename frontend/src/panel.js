// The front end of mltemporal.notebook.panel.Panel: one closure for each model, so that several
// views of one job share one store.
import { Store } from "./store.js";
import { View } from "./view.js";

export default () => {
  let store;
  let asking = false;
  const views = new Set();

  return {
    initialize({ model }) {
      store = new Store(model.get("snapshot"));
      const take = (message, buffers) => {
        if (message.t === "snapshot") {
          store.load(message, buffers);
          asking = false;
        } else if (!store.update(message, buffers)) {
          if (!asking) model.send({ t: "resync" });
          asking = true;
          return;
        }
        for (const view of views) {
          view.connected(true);
          view.soon();
        }
      };
      // The event does not say which way it went. Connected is where we start; a message says "back".
      const live = () => {
        for (const view of views) view.connected(false);
      };
      model.on("msg:custom", take);
      model.on("comm_live_update", live);
      model.on("comm:close", live);
      // What was told between the snapshot and now is missed; ask once.
      model.send({ t: "resync" });
      return () => {
        model.off("msg:custom", take);
        model.off("comm_live_update", live);
        model.off("comm:close", live);
      };
    },

    render({ model, el }) {
      const view = new View(store, (name) => model.send({ t: "command", name }));
      let frame = 0;
      view.soon = () => {
        frame ||= requestAnimationFrame(() => {
          frame = 0;
          view.draw();
        });
      };
      views.add(view);
      el.append(view.node);
      view.charts.draw();
      // The static form of this panel is for where no kernel is: hide it while this one lives.
      const hide = document.createElement("style");
      const twin = `.${CSS.escape(model.get("twin"))}`;
      hide.textContent = `${twin}, .jp-OutputArea-child:has(${twin}) { display: none !important; }`;
      document.head.append(hide);
      return () => {
        views.delete(view);
        cancelAnimationFrame(frame);
        hide.remove();
        view.dispose();
      };
    },
  };
};
