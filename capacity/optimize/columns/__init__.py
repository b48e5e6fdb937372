"""The instance mix at scale, by column generation with a last choice by MIP.

A *lane* is what is chosen apart (``_lanes``): a block of a unit that follows its load, or a month of one that does not.
A *column* is a whole choice of counts for a lane. The way of a solve (``plan``):

1. covers of one and two types for every lane, found once, priced in every round (``_covers``);
2. a master LP over the columns found so far and all that couples lanes: commitments owned and offered, reservations,
   quotas (``_coupling``, ``_master``); its duals price the next round (``rounds``), over all types in the end;
3. once duals have settled, lanes searched whole over all types, many at a time: what finds counts of any number of
   types also proves what each lane costs at least (``_whole``, ``_lane_problem``, ``_branch``; knapsacks, ``_bound``,
   and small MIPs, ``_exact``, for what the search leaves open);
4. the last choice, a MIP over the columns worth having (``_choice``);
5. where a quota minds what a whole month provisions, a choice among bundles of units' months instead (``_bundles``,
   ``_months``), proven by lanes under the best split of the quota's charge (``_split``, ``_charges``), by a search of
   months of few instances (``_month_search``) and by small MIPs (``_months_proof``, ``_month``);
6. what a solve leaves behind for the next: duals, columns and covers by the content of their unit (``memory``).

Every bound is a Lagrangian one: it holds whatever the duals are worth. A unit that is a large part of a fleet leaves it
loose where parts of its fleets would use up reservations: prices alone do not tell these apart.
"""
