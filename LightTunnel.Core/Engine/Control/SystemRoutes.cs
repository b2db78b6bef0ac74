using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Tun;

namespace LightTunnel.Engine.Control;

/// <summary>
/// Has the system route networks behind other nodes into the tunnel, beside the control loop: one change after the other, of which only the
/// last that waits is made. Owned by the control loop.
/// </summary>
/// <param name="node">Has the system asked.</param>
/// <param name="changed">Called when the system has answered.</param>
internal sealed class SystemRoutes(Node node, Action changed)
{
    private IReadOnlyList<IpPrefix> _wanted = [];
    private IReadOnlyList<IpPrefix> _set = [];
    private bool _isSetting;
    private bool _again;

    /// <summary>What the system does not route into the tunnel, and why.</summary>
    public IReadOnlyDictionary<IpPrefix, string> Refused { get; private set; } = new Dictionary<IpPrefix, string>();

    /// <summary>Sets what is routed into the tunnel from now on, and nothing else.</summary>
    /// <param name="prefixes">The networks, in any order that stays the same.</param>
    /// <param name="again">True when the interface was set up anew, or what was refused is to be tried again.</param>
    public void Want(IReadOnlyList<IpPrefix> prefixes, bool again = false)
    {
        _wanted = prefixes;
        _again |= again && prefixes.Count > 0;
        Begin();
    }

    private void Begin()
    {
        if (_isSetting || (!_again && _wanted.SequenceEqual(_set)))
            return;
        IReadOnlyList<IpPrefix> wanted = _wanted;
        bool isWhole = _again;
        (_isSetting, _again) = (true, false);
        node.Ask(
            () => Set(node.Services.Tun, wanted),
            refused =>
            {
                _isSetting = false;
                _set = wanted;
                // What was refused is not asked for meanwhile, and stays so until it is tried again.
                if (!isWhole)
                    refused = Refused.Where(one => !wanted.Contains(one.Key)).Concat(refused).ToDictionary();
                bool isNews = refused.Count != Refused.Count || refused.Any(one => Refused.GetValueOrDefault(one.Key) != one.Value);
                Refused = refused;
                if (isNews)
                    changed();
                Begin();
            });
    }

    private static IReadOnlyDictionary<IpPrefix, string> Set(ITunDevice device, IReadOnlyList<IpPrefix> wanted)
    {
        try
        {
            return device.SetRoutes(wanted);
        }
        catch (Exception exception) when (exception is LightTunnelException or IOException or ObjectDisposedException)
        {
            return wanted.ToDictionary(prefix => prefix, _ => exception.Message);
        }
    }
}
