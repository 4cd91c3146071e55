// SPDX-License-Identifier: MPL-2.0
#include "wire/doors.h"

#include "base/mem.h"
#include "wire/port.h"
#include "wire/say.h"

#include <stdlib.h>

// While memory is short a newcomer that would bring more waits. One that takes messages makes room.
static bool
is_held(const wport_t *port)
{
    return port->wire->is_short && port->input && !port_is_awaited(port);
}

static void
open_door(door_t *self)
{
    if (self->open || is_held(self->port))
        return;
    self->open = loop_watch(&self->port->wire->loop, listener_fd(self->listener), EPOLLIN, &self->watched) == 0;
}

void
doors_add(wire_t *self, listener_t *listener, side_t side, void (*on_knock)(watched_t *watched, uint32_t events))
{
    door_t *door = xcalloc(1, sizeof *door);
    door->watched.ready = on_knock;
    door->port = &self->ports[side];
    door->listener = listener;
    door->next = self->doors;
    self->doors = door;
    if (port_has_place(door->port))
        open_door(door);
}

void
doors_close(door_t *self)
{
    if (!self->open)
        return;
    loop_forget(&self->port->wire->loop, listener_fd(self->listener), &self->watched);
    self->open = false;
}

static void
remove_door(door_t **at)
{
    door_t *door = *at;
    doors_close(door);
    *at = door->next;
    free(door);
}

void
doors_remove(wire_t *self, const listener_t *listener)
{
    for (door_t **at = &self->doors; *at; at = &(*at)->next)
        if ((*at)->listener == listener) {
            remove_door(at);
            return;
        }
}

void
doors_remove_side(wire_t *self, side_t side)
{
    for (door_t **at = &self->doors; *at;)
        if ((*at)->port->side == side)
            remove_door(at);
        else
            at = &(*at)->next;
}

void
doors_remove_all(wire_t *self)
{
    while (self->doors)
        remove_door(&self->doors);
}

static void
set_side(wport_t *port, bool open)
{
    bool changed = false;
    for (door_t *i = port->wire->doors; i; i = i->next)
        if (i->port == port && i->open != open) {
            (open ? open_door : doors_close)(i);
            changed |= i->open == open;
        }
    if (changed && port->is_full == open) {
        port->is_full = !open;
        say_full(port, !open);
    }
}

void
doors_close_side(wport_t *port)
{
    set_side(port, false);
}

void
doors_open_side(wport_t *port)
{
    if (port_has_place(port))
        set_side(port, true);
}

void
doors_hold(wire_t *self)
{
    for (door_t *i = self->doors; i; i = i->next)
        if (is_held(i->port))
            doors_close(i);
        else if (port_has_place(i->port))
            open_door(i);
}
