using LightTunnel.Timing;
using LightTunnel.Tun;

namespace LightTunnel.Engine.Control;

/// <summary>
/// Keeps the system's interface as the node set it: what others change of it (a network manager, a script, an admin) is set again shortly
/// after the system told of it. Who changes it again and again wins: then it is left alone for a while, and said. Owned by the control
/// loop; what asks the system runs beside it.
/// </summary>
/// <remarks>
/// What counts as changed: the interface is down, an address of the network's is gone, the MTU is another, a route was deleted. What others
/// added is theirs. What cannot be put right, or is left alone, is <see cref="TunnelState.Impaired"/>, the last error, and a warning. On
/// Windows the same goes for the addresses, each family's MTU and the networks' routes; a family that was switched off on the adapter is
/// said, and an adapter that was disabled ends the tunnel, as its session ends.
/// </remarks>
internal sealed class InterfaceUpkeep
{
    /// <summary>Who changes an interface does so in several steps: a look waits for this long, so that they are one.</summary>
    internal static readonly TimeSpan Settle = TimeSpan.FromMilliseconds(500);

    /// <summary>What could not be put right is tried again after this time.</summary>
    internal static readonly TimeSpan Retry = TimeSpan.FromSeconds(10);

    private readonly NodeServices _services;
    private readonly IConfiguredInterface? _device;
    private readonly TurnOutputs _outputs;
    private readonly Action<Action> _post;
    private readonly RepairLimit _limit = new();
    private Timestamp _due = Timestamp.Never;
    private bool _isLooking;

    /// <param name="services">The interface, the clock and the log.</param>
    /// <param name="outputs">Has the system asked.</param>
    /// <param name="post">Runs an action on the control loop.</param>
    public InterfaceUpkeep(NodeServices services, TurnOutputs outputs, Action<Action> post)
    {
        _services = services;
        _outputs = outputs;
        _post = post;
        _device = services.Tun as IConfiguredInterface;
    }

    /// <summary>What is wrong with the interface for longer than a moment, and what to do; null when it is as it should be.</summary>
    public string? Problem { get; private set; }

    /// <summary>Begins to listen for changes.</summary>
    public void Begin() => _device?.Watch(() => _post(OnChanged));

    /// <summary>Looks at the interface when that is due; returns when to call again.</summary>
    public Timestamp Run(Timestamp now)
    {
        if (now < _due || _isLooking)
            return _isLooking ? Timestamp.Never : _due;
        _due = Timestamp.Never;
        _isLooking = true;
        bool mayRestore = _limit.MayRepair(now);
        IConfiguredInterface device = _device!;
        _outputs.Ask(() =>
        {
            InterfaceCheck found = Look(device, mayRestore);
            _post(() => OnLooked(found, mayRestore));
        });
        return Timestamp.Never;
    }

    private static InterfaceCheck Look(IConfiguredInterface device, bool restore)
    {
        try
        {
            return device.Check(restore);
        }
        catch (ObjectDisposedException)
        {
            return InterfaceCheck.Right; // The tunnel has just ended.
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            return new InterfaceCheck(["it cannot be looked at"], exception.Message);
        }
    }

    private void OnChanged() => PlanIn(Settle);

    private void PlanIn(TimeSpan delay) => _due = Timestamp.Earliest(_due, _services.Time.Now() + delay);

    private void OnLooked(InterfaceCheck found, bool restored)
    {
        _isLooking = false;
        string name = _services.Tun.Name;
        string differences = string.Join(", ", found.Differences);
        if (found.Differences.Count == 0)
        {
            if (Problem is not null)
                _services.Log.Information("Interface {Interface} is as it should be again", name);
            Problem = null;
        }
        else if (!restored)
        {
            Timestamp now = _services.Time.Now();
            PlanIn(_limit.LeaveAlone(now) - now);
            string who = found.Suspect is { } suspect ? $"Somebody, perhaps {suspect}," : "Somebody";
            Report(
                $"{who} changes interface {name} again and again ({differences}): it was put right {RepairLimit.Most} times within a "
                    + "minute, and is left alone now. "
                    + $"Keep what manages interfaces on this machine away from {name}.");
        }
        else if (found.Failure is { } failure)
        {
            PlanIn(Retry);
            Report($"Somebody changed interface {name} ({differences}), and it cannot be put right: {failure}.");
        }
        else
        {
            Problem = null;
            _limit.Note(_services.Time.Now());
            _services.Log.Warning(
                "{Who} changed interface {Interface} ({Differences}): put right",
                found.Suspect is { } suspect ? $"Perhaps {suspect}" : "Somebody", name, differences);
        }
    }

    private void Report(string problem)
    {
        if (problem == Problem)
            return;
        Problem = problem;
        _services.Log.Warning("{Problem}", problem);
    }
}
