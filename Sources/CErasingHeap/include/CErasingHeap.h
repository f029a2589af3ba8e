#ifndef CERASINGHEAP_H
#define CERASINGHEAP_H

/* Nothing to call: linked in, it takes the place of the C library's free. See CErasingHeap.c. */

#endif
